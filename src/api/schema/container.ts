import Type from 'typebox';
import type {
  Container,
  ContainerDetail,
  ContainerSpec,
  ContainerState,
  DnsSettings,
  NetworkMode,
  SpawnPlan,
} from '../../model/index.ts';
import { define, type Named, STRICT, stringMap, text, words } from './define.ts';
import { endpoint, endpointSpec, portSpec } from './endpoint.ts';

export const networkMode: Named<NetworkMode> = define<NetworkMode>()(
  'NetworkMode',
  Type.Union([
    Type.Object({ kind: Type.Literal('networks') }),
    Type.Object({ kind: Type.Literal('host') }),
    Type.Object({ kind: Type.Literal('none') }),
    Type.Object({ kind: Type.Literal('container'), container: text('Whose namespace is shared.') }),
  ]),
);

export const dnsSettings: Named<DnsSettings> = define<DnsSettings>()(
  'DnsSettings',
  Type.Object({
    servers: Type.Array(Type.String(), { description: "Empty: the host's own." }),
    search: Type.Array(Type.String()),
    options: Type.Array(Type.String()),
  }),
);

export const containerState: Named<ContainerState> = define<ContainerState>()(
  'ContainerState',
  Type.Object({
    status: words(['created', 'running', 'exited', 'dead'], 'What the command does.'),
    pid: Type.Integer({ description: '0 when not running.' }),
    exitCode: Type.Integer({ description: 'When exited: the status, or 128 + the number of the signal.' }),
    startedAt: text('ISO 8601.'),
    finishedAt: text('ISO 8601.'),
  }),
);

const CONTAINER = {
  id: text('64 hexadecimal digits.'),
  name: text('Unique.'),
  created: text('ISO 8601.'),
  netns: text('Path of its namespace; empty in host mode.'),
  mode: networkMode.ref,
  hostname: text('Inside.'),
  command: Type.Array(Type.String()),
  env: stringMap('Environment of the command.'),
  workingDir: text('Where the command starts.'),
  pod: Type.Optional(
    Type.Literal(true, { description: 'It runs no command: others run in its namespace, by `container:NAME`.' }),
  ),
  dns: dnsSettings.ref,
  extraHosts: Type.Array(Type.String(), { description: '`name:address`' }),
  labels: stringMap('Words of the user.'),
  autoRemove: Type.Boolean({ description: 'The record goes when the command ends.' }),
  networks: Type.Array(endpointSpec.ref, { description: 'Endpoints made at (re)start, in interface order.' }),
  ports: Type.Array(portSpec.ref),
  phase: words(['creating', 'ready', 'removing'], 'Anything but `ready` is being worked on by `owner`.'),
  owner: text('The engine that is changing it; empty when ready.'),
};

export const container: Named<Container> = define<Container>()('Container', Type.Object(CONTAINER));

export const containerDetail: Named<ContainerDetail> = define<ContainerDetail>()(
  'ContainerDetail',
  Type.Object({ ...CONTAINER, state: containerState.ref, endpoints: Type.Array(endpoint.ref) }),
);

export const containerSpec: Named<ContainerSpec> = define<ContainerSpec>()(
  'ContainerSpec',
  Type.Object(
    {
      name: Type.Optional(Type.String({ minLength: 1, description: 'Missing: two words.' })),
      command: Type.Array(Type.String(), { description: 'The command and its arguments; empty for a pod.' }),
      pod: Type.Optional(Type.Boolean({ description: 'A namespace for others to run in, without a command.' })),
      env: Type.Optional(stringMap('Environment of the command.')),
      workingDir: Type.Optional(text('Where the command starts.')),
      hostname: Type.Optional(text('Inside.')),
      networkMode: Type.Optional(text('`none`, `host` or `container:NAME`; missing: the networks below.')),
      networks: Type.Optional(Type.Array(endpointSpec.ref, { description: 'Default: the network `bridge`.' })),
      ports: Type.Optional(Type.Array(portSpec.ref)),
      dns: Type.Optional(
        Type.Object(
          {
            servers: Type.Optional(Type.Array(Type.String(), { description: "Missing or empty: the host's own." })),
            search: Type.Optional(Type.Array(Type.String())),
            options: Type.Optional(Type.Array(Type.String())),
          },
          STRICT,
        ),
      ),
      extraHosts: Type.Optional(Type.Array(Type.String(), { description: '`name:address`' })),
      labels: Type.Optional(stringMap('Words of the user.')),
      autoRemove: Type.Optional(Type.Boolean({ description: 'The record goes when the command ends.' })),
    },
    STRICT,
  ),
);

export const spawnPlan: Named<SpawnPlan> = define<SpawnPlan>()(
  'SpawnPlan',
  Type.Object({
    file: text('The program to start.'),
    args: Type.Array(Type.String()),
    env: stringMap('Its whole environment.'),
    cwd: text('Where it starts.'),
  }),
);

/** Body of `exec-plan`. */
export const execSpec: Named<ExecSpec> = define<ExecSpec>()(
  'ExecSpec',
  Type.Object(
    { command: Type.Array(Type.String(), { minItems: 1, description: 'The command and its arguments.' }) },
    STRICT,
  ),
);
export interface ExecSpec {
  readonly command: readonly string[];
}

/** Answer of `wait`. */
export const waitResult: Named<WaitResult> = define<WaitResult>()(
  'WaitResult',
  Type.Object({ exitCode: Type.Integer({ description: 'The status, or 128 + the number of the signal.' }) }),
);
export interface WaitResult {
  readonly exitCode: number;
}
