import { NetloomError } from '../errors.ts';

/** SD_LISTEN_FDS_START of sd_listen_fds(3). */
const FIRST_DESCRIPTOR = 3;

/**
 * The listening descriptor that systemd passed to this process, if any: sd_listen_fds(3). The variables are taken out
 * of `env`, so that no workload believes that they speak of it.
 * @throws NetloomError EINVAL when it passed more than one.
 */
export function activationDescriptor(
  env: NodeJS.ProcessEnv = process.env,
  pid: number = process.pid,
): number | undefined {
  const { LISTEN_PID, LISTEN_FDS } = env;
  if (LISTEN_PID !== String(pid)) return undefined;
  for (const name of ['LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES']) delete env[name];
  const count = Number(LISTEN_FDS);
  if (!Number.isInteger(count) || count < 1) return undefined;
  if (count > 1) {
    throw new NetloomError('EINVAL', `systemd passed ${count} sockets, one is expected`, {
      hint: 'keep one ListenStream= in netloom.socket',
    });
  }
  return FIRST_DESCRIPTOR;
}
