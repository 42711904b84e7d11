/** nf_tables: tables, chains, rules, sets and maps over netlink, and nft's rule language as typed objects. */
export { chainAdd, chainDelete, chainDump, decodeChain } from './chain.ts';
export type { NftBaseChain, NftChain, NftChainName } from './chain.ts';
export { printCommand, shellWord } from './command.ts';
export type { NftObject, NftVerb } from './command.ts';
export { compile, compileRule, statementRuleAdd } from './compile.ts';
export type { CompileContext, CompiledRule } from './compile.ts';
export { NftConn } from './conn.ts';
export type { NftSnapshot, NftTableName } from './conn.ts';
export { NFPROTO, NFT_MSG } from './constants.ts';
export type { NftFamily, NftHook } from './constants.ts';
export { dataType } from './datatype.ts';
export type { NftDataType, NftScalar, NftTypeName } from './datatype.ts';
export {
  decodeElements,
  elementAdd,
  elementDelete,
  elementDump,
  elementId,
  sameElement,
  sameRest,
  setFlush,
} from './element.ts';
export type { NftData, NftElement } from './element.ts';
export { concernsTable, decodeGeneration, NFNLGRP_NFTABLES, type NftGeneration, tableOf } from './events.ts';
export { decodeExprs, encodeExprs, sameExprs } from './expr/index.ts';
export type * from './expr/index.ts';
export { batchBegin, batchEnd } from './nfnetlink.ts';
export type { NftField, NftKey } from './key.ts';
export { printExpression, printRule, printStatement } from './print.ts';
export { chainFlush, decodeRule, ruleAdd, ruleDelete, ruleDump, ruleInsert, ruleReplace } from './rule.ts';
export type { NftRule, NftRuleName } from './rule.ts';
export { decodeSet, setAdd, setDelete, setDump } from './set.ts';
export type { NftSet, NftSetFlag, NftSetName, NftType } from './set.ts';
export type * from './statement.ts';
export { decodeTable, tableAdd, tableDelete, tableDump } from './table.ts';
export type { NftTable } from './table.ts';
export type { NftVerdict } from './verdict.ts';
export { xtOf } from './xt.ts';
export type { XtExpr } from './xt.ts';
