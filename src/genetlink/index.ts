/** Generic netlink's own part: which family has which number. @see linux/genetlink.h */
export {
  familyDump,
  familyGet,
  genlAttrs,
  type GenlFamily,
  genlFamily,
  genlHeader,
  parseFamily,
} from './controller.ts';
