import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { dice, type Dice, fuzzCases, mutate, mutateText } from '../api/mutate.test.ts';
import { NetloomError } from '../errors.ts';
import { parseEnvFile } from './dotenv.ts';
import { ComposeError } from './errors.ts';
import { interpolate } from './interpolate.ts';
import { parseCompose } from './parse.ts';
import { planUp } from './plan.ts';
import { parseShortPort } from './ports.ts';
import { buildProject } from './project.ts';
import { splitWords } from './shell.ts';

const DOCUMENT = {
  name: 'shop',
  'x-netloom-ignore': ['image'],
  networks: {
    front: {
      driver: 'macvlan',
      driver_opts: { parent: 'eth0' },
      enable_ipv6: true,
      ipam: {
        driver: 'default',
        config: [
          { subnet: '10.1.0.0/16', gateway: '10.1.0.1', ip_range: '10.1.2.0/24', aux_addresses: { r: '10.1.0.9' } },
        ],
      },
      labels: ['a=b'],
    },
    back: { internal: true, name: 'rear' },
    other: { external: true },
  },
  services: {
    web: {
      image: 'x',
      command: ['sh', '-c', 'true'],
      entrypoint: 'env A="b c"',
      environment: { A: 'b', B: null },
      networks: { front: { ipv4_address: '10.1.0.7', aliases: ['www'], priority: 3 }, back: null },
      ports: ['127.0.0.1:8000-8002:80-82/tcp', { target: 53, published: '5353', protocol: 'udp' }],
      depends_on: { db: { condition: 'service_completed_successfully', required: false } },
      dns: '9.9.9.9',
      extra_hosts: ['a:10.0.0.1'],
      hostname: 'web',
      stop_grace_period: '1m5s',
      deploy: { mode: 'replicated', replicas: 1 },
      profiles: ['a'],
    },
    db: { command: 'd', container_name: 'the-db', restart: 'no', scale: 1 },
    beside: { command: 'e', network_mode: 'service:web' },
  },
};
/** Anchors, merge keys, tags and variables: what JSON has not. */
const TEXT = `name: shop
x-common: &common { command: c, networks: [net], environment: { A: "\${B:-\${C}}" } }
networks: { net: {} }
services:
  a: { <<: *common, labels: !reset null }
  b:
    <<: [*common]
    command: >-
      sh -c 'echo \${B?no}'
    ports: !override ["80", "8080:80"]
    depends_on: [a]
`;
const LETTERS = '-:[]{}&*!|>\'"%@`?,#${} \n\t\u0000\u0085é\ud83d0=<~.';

/** What a file is worth: a project with a plan, or errors that each have a line and say something on it. */
async function read(text: string): Promise<'accepted' | 'refused'> {
  try {
    const file = await parseCompose([{ name: 'compose.yaml', text }], (name) => (name === 'B' ? 'value' : undefined));
    const project = buildProject(file, {
      name: 'shop',
      directory: '/srv',
      files: [],
      profiles: ['a'],
      environments: new Map(file.services.map(({ name }) => [name, {}])),
    });
    planUp(project, { networks: [], containers: [], endpoints: [] });
    return 'accepted';
  } catch (error) {
    const about = `${String(error)}, for ${JSON.stringify(text)}`;
    assert.ok(error instanceof ComposeError, about);
    assert.ok(error.problems.length > 0, about);
    for (const { at, message } of error.problems) assert.ok(at.line >= 1 && at.column >= 1 && message !== '', about);
    return 'refused';
  }
}
async function forSeeds(cases: number, one: (roll: Dice) => Promise<void>): Promise<void> {
  const batch = 25;
  const property = fc.asyncProperty(fc.integer(), async (seed) => {
    const roll = dice(seed);
    for (let index = 0; index < batch; index++) await one(roll);
  });
  await fc.assert(property, { numRuns: Math.ceil(cases / batch), endOnFailure: true });
}

test('files with other keys, values and shapes are read, or refused with place and reason', async () => {
  assert.equal(await read(JSON.stringify(DOCUMENT)), 'accepted');
  const seen = { accepted: 0, refused: 0 };
  await forSeeds(fuzzCases(600), async (roll) => {
    seen[await read(JSON.stringify(mutate(DOCUMENT, roll)))]++;
  });
  assert.ok(seen.accepted > 10 && seen.refused > 10, JSON.stringify(seen));
});

test('texts that are hardly YAML any more: the same', async () => {
  assert.equal(await read(TEXT), 'accepted');
  const seen = { accepted: 0, refused: 0 };
  await forSeeds(fuzzCases(600), async (roll) => {
    let text = TEXT;
    for (let times = 1 + roll(5); times > 0; times--) text = mutateText(text, roll, LETTERS);
    seen[await read(text)]++;
  });
  assert.ok(seen.accepted > 1 && seen.refused > 20, JSON.stringify(seen));
});

test('words, ports, variables and environment files: any text', () => {
  const seeds = [
    `sh -c 'echo "a b"' \\x "c\\"d"`,
    '127.0.0.1:8000-8002:80-82/tcp',
    '[::1]:53:53/udp',
    '${A:-${B:?no}} $$ ${C+x}',
    'A=b\nexport C="d\\n$E"\n# x\nF=\'g\'\n',
  ];
  const property = fc.property(fc.integer(), (seed) => {
    const roll = dice(seed);
    for (let index = 0; index < 100; index++) {
      let text = seeds[roll(seeds.length)] ?? '';
      for (let times = 1 + roll(3); times > 0; times--) text = mutateText(text, roll, LETTERS);
      splitWords(text);
      interpolate(text, (name) => (name.length % 2 === 0 ? 'x' : undefined));
      for (const parse of [() => parseShortPort(text), () => parseEnvFile(text, 'f', () => undefined)]) {
        try {
          parse();
        } catch (error) {
          assert.ok(error instanceof NetloomError, `${String(error)}, for ${JSON.stringify(text)}`);
        }
      }
    }
  });
  fc.assert(property, { numRuns: Math.ceil(fuzzCases(20_000) / 100), endOnFailure: true });
});
