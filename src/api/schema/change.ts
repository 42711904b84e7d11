import Type from 'typebox';
import type {
  Container,
  ContainerDetail,
  Endpoint,
  Network,
  Outcome,
  PlanStep,
  VersionInfo,
} from '../../model/index.ts';
import { container, containerDetail } from './container.ts';
import { define, type Named, text, words } from './define.ts';
import { endpoint } from './endpoint.ts';
import { network } from './network.ts';

export const planStep: Named<PlanStep> = define<PlanStep>()(
  'PlanStep',
  Type.Object({
    object: text('The object that wants it: `network web`.'),
    kind: text('The kind of fact: `link`, `address`, `nft-element` …'),
    verb: words(['add', 'change', 'delete'], 'What is done.'),
    command: text('Runs in a shell as it stands.'),
  }),
);
const PLAN = Type.Optional(Type.Array(planStep.ref, { description: 'With `explain` or `dryRun`.' }));

export const networkOutcome: Named<Outcome<Network>> = define<Outcome<Network>>()(
  'NetworkOutcome',
  Type.Object({ value: network.ref, plan: PLAN }),
);
export const networksOutcome: Named<Outcome<readonly Network[]>> = define<Outcome<readonly Network[]>>()(
  'NetworksOutcome',
  Type.Object({ value: Type.Array(network.ref), plan: PLAN }),
);
export const endpointOutcome: Named<Outcome<Endpoint>> = define<Outcome<Endpoint>>()(
  'EndpointOutcome',
  Type.Object({ value: endpoint.ref, plan: PLAN }),
);
export const containerOutcome: Named<Outcome<Container>> = define<Outcome<Container>>()(
  'ContainerOutcome',
  Type.Object({ value: container.ref, plan: PLAN }),
);
export const containerDetailOutcome: Named<Outcome<ContainerDetail>> = define<Outcome<ContainerDetail>>()(
  'ContainerDetailOutcome',
  Type.Object({ value: containerDetail.ref, plan: PLAN }),
);

export const versionInfo: Named<VersionInfo> = define<VersionInfo>()(
  'VersionInfo',
  Type.Object({
    version: text("netloom's."),
    apiVersion: text('`v1`'),
    node: text("Node's."),
    kernel: text("The kernel's."),
    mode: words(['daemon', 'in-process'], 'Who answers.'),
  }),
);

/** What every failure answers. */
export interface ErrorBody {
  readonly code: string;
  readonly message: string;
  readonly hint: string;
}
export const errorBody: Named<ErrorBody> = define<ErrorBody>()(
  'Error',
  Type.Object({
    code: text('Stable; listed in docs/errors.md.'),
    message: text('One line.'),
    hint: text('What can be done about it; may be empty.'),
  }),
);
