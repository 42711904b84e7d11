import { existsSync, statSync } from 'node:fs';
import type { Check } from '../check.ts';
import { file } from '../read.ts';

/** Whether time can be trusted: certificates and leases of other machines depend on it. */
export const clock: Check = {
  name: 'clock',
  about: 'whether the clock is set, and kept by somebody',
  run() {
    const now = Date.now();
    const written = Math.max(...['/etc/hostname', '/etc/resolv.conf', '/etc/passwd', '/proc/self/exe'].map(timeOf));
    if (now + 60_000 < written) {
      return [
        {
          status: 'failure',
          summary: `the clock says ${iso(now)}, and files are from ${iso(written)}: it is slow`,
          evidence: [`now ${iso(now)}`, `newest file looked at ${iso(written)}`],
          cure: ['set the clock, and let a time service keep it: timedatectl set-ntp true'],
        },
      ];
    }
    const keeper = keeperOf();
    if (keeper === undefined) {
      return [
        {
          status: 'info',
          summary: 'no time service was found: who keeps the clock could not be seen',
          cure: ['timedatectl set-ntp true, or install chrony'],
        },
      ];
    }
    return [{ status: 'ok', summary: `the clock is kept by ${keeper}` }];
  },
};

function keeperOf(): string | undefined {
  if (existsSync('/run/systemd/timesync/synchronized')) return 'systemd-timesyncd';
  if (existsSync('/run/chrony/chronyd.sock') || existsSync('/run/chrony/chronyd.pid')) return 'chrony';
  if (existsSync('/run/ntpd.pid') || existsSync('/run/openntpd.pid')) return 'ntpd';
  // a guest's clock follows its host's
  const source = file('/sys/devices/system/clocksource/clocksource0/current_clocksource');
  return source === 'kvm-clock' || source?.startsWith('hyperv') ? `the hypervisor (${source})` : undefined;
}

function timeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}
function iso(ms: number): string {
  return new Date(ms).toISOString();
}
