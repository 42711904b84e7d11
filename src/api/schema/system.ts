import Type from 'typebox';
import { type DoctorReport, type EngineEvent, EVENT_TYPES, type Finding } from '../../model/index.ts';
import { define, type Named, stringMap, text, words } from './define.ts';

export const finding: Named<Finding> = define<Finding>()(
  'Finding',
  Type.Object({
    check: text('Stable name of the check: `forwarding`.'),
    status: words(['ok', 'info', 'warning', 'failure', 'unknown'], 'How it is.'),
    summary: text('One line: what is so, and for a failure what it breaks.'),
    evidence: Type.Array(Type.String(), { description: "What was seen, in the kernel's or a file's own words." }),
    cure: Type.Array(Type.String(), { description: 'What puts it right: commands, or a sentence.' }),
    object: text('Which of our objects it concerns: `network web`; empty for the host.'),
  }),
);

export const doctorReport: Named<DoctorReport> = define<DoctorReport>()(
  'DoctorReport',
  Type.Object({
    time: text('ISO 8601.'),
    kernel: text("The kernel's version."),
    findings: Type.Array(finding.ref),
  }),
);

/** A line of the stream of events. */
export const engineEvent: Named<EngineEvent> = define<EngineEvent>()(
  'Event',
  Type.Object({
    time: text('ISO 8601, to the millisecond.'),
    type: words(EVENT_TYPES, 'The kind of object that it happened to.'),
    action: text('A verb: `create`, `attach`, `repair`, `query`. `behind` of type `engine`: the reader was too slow.'),
    id: text('Id of the object; empty where it has none.'),
    name: text('For people: the name of the network or container, the fact of a repair.'),
    attributes: stringMap('What else there is to say, by its name.'),
  }),
);
