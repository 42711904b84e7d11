import Type, { type Static } from 'typebox';
import type {
  Container,
  ContainerDetail,
  Endpoint,
  EndpointCheck,
  GcReport,
  Network,
  Outcome,
  PlanStep,
  RehearsalStep,
  VersionInfo,
} from '../../model/index.ts';
import { container, containerDetail, containerSpec } from './container.ts';
import { define, type Named, STRICT, text, words } from './define.ts';
import { endpoint } from './endpoint.ts';
import { network, networkSpec } from './network.ts';

export const planStep: Named<PlanStep> = define<PlanStep>()(
  'PlanStep',
  Type.Object({
    object: text('The object that wants it: `network web`.'),
    kind: text('The kind of fact: `link`, `address`, `nft-element` …'),
    verb: words(['add', 'change', 'delete'], 'What is done.'),
    command: text('Runs in a shell as it stands.'),
  }),
);
export const endpointCheck: Named<EndpointCheck> = define<EndpointCheck>()(
  'EndpointCheck',
  Type.Object({
    gone: Type.Optional(text('Why its namespace is not the one that it was attached to.')),
    faults: Type.Array(planStep.ref, { description: 'What would put right what is missing or different.' }),
    mac: text('Of the interface inside as it is; empty for none.'),
    mtu: Type.Integer({ description: 'Of the interface inside as it is; 0 where it is not there.' }),
  }),
);
const PLAN = Type.Optional(Type.Array(planStep.ref, { description: 'With `explain` or `dryRun`.' }));
const WARNINGS = Type.Optional(
  Type.Array(Type.String(), { description: 'What was done otherwise than whoever asked may think, a line each.' }),
);

export const networkOutcome: Named<Outcome<Network>> = define<Outcome<Network>>()(
  'NetworkOutcome',
  Type.Object({ value: network.ref, plan: PLAN, warnings: WARNINGS }),
);
export const networksOutcome: Named<Outcome<readonly Network[]>> = define<Outcome<readonly Network[]>>()(
  'NetworksOutcome',
  Type.Object({ value: Type.Array(network.ref), plan: PLAN, warnings: WARNINGS }),
);
export const endpointOutcome: Named<Outcome<Endpoint>> = define<Outcome<Endpoint>>()(
  'EndpointOutcome',
  Type.Object({ value: endpoint.ref, plan: PLAN, warnings: WARNINGS }),
);
export const containerOutcome: Named<Outcome<Container>> = define<Outcome<Container>>()(
  'ContainerOutcome',
  Type.Object({ value: container.ref, plan: PLAN, warnings: WARNINGS }),
);
export const containerDetailOutcome: Named<Outcome<ContainerDetail>> = define<Outcome<ContainerDetail>>()(
  'ContainerDetailOutcome',
  Type.Object({ value: containerDetail.ref, plan: PLAN, warnings: WARNINGS }),
);

const LINES = (description: string): Type.TArray<Type.TString> => Type.Array(Type.String(), { description });
export const gcReport: Named<GcReport> = define<GcReport>()(
  'GcReport',
  Type.Object({
    reclaimed: LINES('What the dead had left, each with its reason.'),
    removed: LINES('Kernel objects that were ours and that nobody wanted.'),
    repaired: LINES('What was wanted, missing or wrong, and put right.'),
    failed: LINES('What could not be put right, each with its reason.'),
  }),
);
export const gcOutcome: Named<Outcome<GcReport>> = define<Outcome<GcReport>>()(
  'GcOutcome',
  Type.Object({ value: gcReport.ref, plan: PLAN, warnings: WARNINGS }),
);

const REF = Type.String({ minLength: 1, description: 'Name, id, or unique beginning of an id.' });
const STEP = Type.Union([
  Type.Object({ verb: Type.Literal('networkCreate'), spec: networkSpec.ref }, STRICT),
  Type.Object({ verb: Type.Literal('networkRemove'), ref: REF }, STRICT),
  Type.Object({ verb: Type.Literal('containerCreate'), spec: containerSpec.ref }, STRICT),
  Type.Object({ verb: Type.Literal('containerStart'), ref: REF }, STRICT),
  Type.Object({ verb: Type.Literal('containerStop'), ref: REF }, STRICT),
  Type.Object({ verb: Type.Literal('containerRemove'), ref: REF, force: Type.Optional(Type.Boolean()) }, STRICT),
]);
export const rehearsalStep: Named<RehearsalStep> = define<RehearsalStep>()(
  'RehearsalStep',
  // By its verb, so that a fault is told of the one step that was meant, not of all that it is not.
  Type.Unsafe<Static<typeof STEP>>({
    type: 'object',
    description: 'A verb of the API that changes something, with its arguments.',
    discriminator: { propertyName: 'verb' },
    required: ['verb'],
    properties: {
      verb: words(
        STEP.anyOf.map(({ properties }) => properties.verb.const),
        'Which.',
      ),
    },
    oneOf: STEP.anyOf,
  }),
);

/** Body of `rehearse`. */
export interface RehearsalSpec {
  readonly steps: readonly RehearsalStep[];
}
export const rehearsalSpec: Named<RehearsalSpec> = define<RehearsalSpec>()(
  'RehearsalSpec',
  Type.Object({ steps: Type.Array(rehearsalStep.ref, { description: 'In order.' }) }, STRICT),
);
/** Answer of `rehearse`: a plan for each step, in order. */
export type RehearsalPlans = readonly (readonly PlanStep[])[];
export const rehearsalPlans: Named<RehearsalPlans> = define<RehearsalPlans>()(
  'RehearsalPlans',
  Type.Array(Type.Array(planStep.ref), { description: 'The plan of each step, in order.' }),
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
