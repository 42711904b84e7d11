import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parsePublish } from './publish.ts';

const tcp = { protocol: 'tcp', count: 1 } as const;
const table: [string, unknown][] = [
  ['80', [{ ...tcp, hostPort: 0, containerPort: 80 }]],
  ['8888:80', [{ ...tcp, hostPort: 8888, containerPort: 80 }]],
  ['8888:80/tcp', [{ ...tcp, hostPort: 8888, containerPort: 80 }]],
  ['53:53/UDP', [{ protocol: 'udp', count: 1, hostPort: 53, containerPort: 53 }]],
  ['9:9/sctp', [{ protocol: 'sctp', count: 1, hostPort: 9, containerPort: 9 }]],
  ['127.0.0.1:8080:80', [{ ...tcp, hostAddress: '127.0.0.1', hostPort: 8080, containerPort: 80 }]],
  ['127.0.0.1::80', [{ ...tcp, hostAddress: '127.0.0.1', hostPort: 0, containerPort: 80 }]],
  ['[::1]:8080:80', [{ ...tcp, hostAddress: '::1', hostPort: 8080, containerPort: 80 }]],
  ['[::]::80', [{ ...tcp, hostAddress: '::', hostPort: 0, containerPort: 80 }]],
  ['8000-8002:80-82', [{ protocol: 'tcp', hostPort: 8000, containerPort: 80, count: 3 }]],
  ['8000-8010:80', [{ ...tcp, hostPort: 8000, hostPortEnd: 8010, containerPort: 80 }]],
  [
    '80-81',
    [
      { ...tcp, hostPort: 0, containerPort: 80 },
      { ...tcp, hostPort: 0, containerPort: 81 },
    ],
  ],
  [
    'published=8080,target=80,protocol=UDP,host_ip=::1,mode=host,firewall=open',
    [
      {
        ...tcp,
        protocol: 'udp',
        hostAddress: '::1',
        hostPort: 8080,
        containerPort: 80,
        mode: 'host',
        firewall: 'open',
      },
    ],
  ],
  ['target=80', [{ ...tcp, hostPort: 0, containerPort: 80 }]],
  [
    'target=80-81,firewall=obey',
    [
      { ...tcp, hostPort: 0, containerPort: 80, firewall: 'obey' },
      { ...tcp, hostPort: 0, containerPort: 81, firewall: 'obey' },
    ],
  ],
  ['0:80', [{ ...tcp, hostPort: 0, containerPort: 80 }]],
];
for (const [input, expected] of table) test(`-p ${input}`, () => assert.deepEqual(parsePublish(input), expected));

for (const bad of [
  '',
  'http',
  '80/icmp',
  '70000:80',
  '8000-8002:80-81',
  '8080:80:80:80',
  'published=8080',
  'target=80,firewall=no',
  'target=80,target=81',
  'target=80,mode=none',
  'target=80,src=1',
  '1.2.3:80:80',
  '80-70',
  '[::1:80:80',
  '8080:',
  '::1:80:80',
]) {
  test(`-p "${bad}" is refused`, () => assert.throws(() => parsePublish(bad), { name: /UsageError|NetloomError/ }));
}
