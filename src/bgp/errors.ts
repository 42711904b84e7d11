import { NetloomError } from '../errors.ts';
import { type Notification, wordsOf } from './notification.ts';

/**
 * A message of a peer that ends its session, with what the peer is told of it. Messages come from anybody: whoever reads
 * one expects this, and nothing else.
 */
export class BgpError extends NetloomError {
  readonly notification: Notification;

  constructor(notification: Notification, detail: string) {
    super('EBADBGP', `${wordsOf(notification)}: ${detail}`);
    this.notification = notification;
  }
}
