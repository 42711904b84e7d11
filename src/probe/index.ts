export { judge } from './judge.ts';
export {
  type Answer,
  LEAST,
  type Message,
  MOST,
  PROBE_PORT,
  type Question,
  readMessage,
  writeMessage,
} from './message.ts';
export { measure, type Measured } from './prober.ts';
export { Responder } from './responder.ts';
export type { Heard, Target } from './way.ts';
