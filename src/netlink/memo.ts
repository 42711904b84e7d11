import type { Lane, NetlinkConn, Reply, Request } from './conn.ts';
import { NLM_F } from './conn.ts';
import type { NlMessage } from './reader.ts';
import { NlWriter } from './writer.ts';

/**
 * A connection that asks for each dump once and answers from what it heard then: for a comparison, whose parts all ask
 * for the same tables and should see the same moment. It sends whatever is no dump.
 *
 * @param narrow requests that together answer a dump, for whoever needs a few objects of thousands; what they are
 *   refused is left out. Undefined: the dump itself.
 */
export function rememberDumps(
  conn: NetlinkConn,
  narrow: (dump: Request) => readonly Request[] | undefined = () => undefined,
): NetlinkConn {
  const heard = new Map<string, Promise<readonly NlMessage[]>>();
  const ask = async (request: Request, options?: Lane): Promise<readonly NlMessage[]> => {
    const few = narrow(request);
    if (!few) return await conn.execute(request, options);
    const replies = await conn.batch(few, { lane: 'here' });
    return replies.flatMap((reply) => (reply.error ? [] : reply.messages));
  };
  const execute = (request: Request, options?: Lane): Promise<readonly NlMessage[]> => {
    if ((request.flags & NLM_F.DUMP) !== NLM_F.DUMP) return conn.execute(request, options);
    const key = bytesOf(request);
    let answer = heard.get(key);
    if (!answer) heard.set(key, (answer = ask(request, options)));
    return answer;
  };
  const batch = (requests: readonly Request[], options?: Lane): Promise<Reply[]> => conn.batch(requests, options);
  // all that a reader of facts calls; the rest would need the socket itself
  return { execute, batch } as unknown as NetlinkConn;
}

/** The same request, whose body is written once and copied from then on: for what is sent again and again. */
export function writtenOnce(request: Request): Request {
  let bytes: Uint8Array | undefined;
  return {
    ...request,
    body(writer) {
      if (bytes === undefined) {
        const once = new NlWriter(256);
        request.body(once);
        bytes = once.finish().slice();
      }
      writer.rawBytes(bytes);
    },
  };
}

/** Whether two requests ask for the same. */
export function sameRequest(a: Request, b: Request): boolean {
  return a.type === b.type && a.flags === b.flags && bytesOf(a) === bytesOf(b);
}

function bytesOf(request: Request): string {
  const writer = new NlWriter(64);
  writer.message(request.type, request.flags, 0);
  request.body(writer);
  return Buffer.from(writer.finish()).toString('latin1');
}
