import { jsonIn } from '../../test/lib/run.ts';
import { startFloor } from '../lib/floor.ts';
import { result, timed, type Result } from '../lib/measure.ts';
import { makeSite } from '../lib/site.ts';

const COUNT = 1000;
/** Asked for at once, as a platform that starts many sandboxes does; the kernel's side takes its turn in between. */
const CHUNK = 50;

/** A thousand endpoints on one bridge: all made, then all gone from the kernel. */
export async function thousand(): Promise<Result[]> {
  await using site = await makeSite();
  await using floor = startFloor();
  site.prepare(COUNT);

  const ids: string[] = [];
  let ours = 0;
  let reference = 0;
  for (let done = 0; done < COUNT; done += CHUNK) {
    const chunk = async (): Promise<void> => {
      const endpoints = await Promise.all(Array.from({ length: CHUNK }, () => site.attach()));
      ids.push(...endpoints.map((e) => e.id));
    };
    ours += await timed(chunk);
    for (const ms of await floor.attach(CHUNK)) reference += ms;
  }

  const detach = await timed(() => Promise.all(ids.map((id) => site.api.endpointDetach(id))));
  const links = await jsonIn<{ ifname: string }[]>(site.host, ['ip', '-j', 'link', 'show', 'type', 'veth']);
  // the joint to a further bridge stays as long as the network
  const left = links.filter((link) => link.ifname.startsWith('ve')).length;
  if (left > 0) throw new Error(`thousand/detach: ${left} links are still there`);
  const detachFloor = await floor.detach();
  return [
    result('thousand/attach', 's', ours / 1000, reference / 1000),
    result('thousand/detach', 's', detach / 1000, detachFloor / 1000),
  ];
}
