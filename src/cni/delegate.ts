import { network as networkOf, parsePrefix } from '../addr/index.ts';
import type { AttachSpec, EndpointTuning, NetworkSpec, ProgramCall, SubnetSpec } from '../model/index.ts';
import { CNI_CODES, CniError, shown } from './errors.ts';
import { Place } from './json.ts';
import type { Parameters } from './parameters.ts';
import { parseResult } from './result.ts';
import type { Result, Verb } from './spec.ts';
import { endpointRoute } from './tuning.ts';

/** Another plugin that gives the addresses: called with all that this one was called with. */
export class Delegate {
  readonly type: string;
  readonly #call: ProgramCall;
  readonly #path: readonly string[];
  /** What it said beside its answers, for this plugin's own. */
  stderr = '';

  constructor(type: string, call: ProgramCall, { path }: Pick<Parameters, 'path'>) {
    this.type = type;
    this.#call = call;
    this.#path = path;
  }

  /** @throws CniError: its own error, or 4 where there is no such plugin, 6 where what it says is no result */
  async add(): Promise<Result> {
    const text = await this.run('ADD');
    const place = new Place(this.type);
    try {
      return parseResult(JSON.parse(text), place);
    } catch (error) {
      const why = error instanceof CniError ? error.message : `${this.type}: its result is no JSON`;
      throw new CniError(CNI_CODES.UNDECODABLE, why, { cause: error });
    }
  }

  /** @returns what it printed. @throws as `add` */
  async run(verb: Exclude<Verb, 'VERSION'>): Promise<string> {
    const { env, stdin } = this.#call;
    const answer = await this.#call.delegate?.({
      type: this.type,
      path: this.#path,
      env: { ...env, CNI_COMMAND: verb },
      stdin,
    });
    if (!answer) {
      throw new CniError(
        CNI_CODES.BAD_ENVIRONMENT,
        `CNI_PATH: no plugin ${shown(this.type)} in ${shown(this.#path.join(':'))}`,
        {
          hint: `ipam.type names the file of an IPAM plugin; leave ipam out, and netloom gives the addresses itself.`,
        },
      );
    }
    this.stderr += answer.stderr ?? '';
    if (answer.status !== 0) throw refusal(this.type, answer.stdout, answer.status);
    return answer.stdout;
  }
}

/** Its error, under its number. */
function refusal(type: string, stdout: string, status: number): CniError {
  try {
    const { code, msg, details } = JSON.parse(stdout) as Record<string, unknown>;
    if (Number.isSafeInteger(code) && (code as number) > 0 && typeof msg === 'string') {
      const hint = typeof details === 'string' && details !== '' ? { hint: details } : {};
      return new CniError(code as number, `${type}: ${msg}`, hint);
    }
  } catch {
    // it said something else
  }
  return new CniError(CNI_CODES.REFUSED, `${type} ended with status ${status}, and no error of the specification`, {
    ...(stdout.trim() !== '' && { hint: stdout.trim() }),
  });
}

/** An endpoint with the addresses of a result, and with its routes; those to everywhere are the network's own to give. */
export function withResult(spec: AttachSpec, { ips, routes }: Result): AttachSpec {
  const gateways = new Set(ips.flatMap(({ gateway }) => (gateway === undefined ? [] : [gateway])));
  const usual = (route: Result['routes'][number]): boolean =>
    parsePrefix(route.dst).length === 0 &&
    (route.gw === undefined || gateways.has(route.gw)) &&
    route.table === undefined &&
    route.priority === undefined;
  const own = [...(spec.tuning?.routes ?? []), ...routes.filter((route) => !usual(route)).map(endpointRoute)];
  const tuning: EndpointTuning = {
    ...spec.tuning,
    ...(own.length > 0 && { routes: own }),
    ...(!routes.some(usual) && { defaultRoute: false }),
  };
  return {
    ...spec,
    addresses: ips.map(({ address }) => parsePrefix(address).address.text),
    exact: true,
    ...(Object.keys(tuning).length > 0 && { tuning }),
  };
}

/** A network to be made, with the subnets of a result where it names none. */
export function withSubnets(spec: NetworkSpec, { ips }: Result): NetworkSpec {
  if ((spec.subnets ?? []).length > 0) return spec;
  const subnets = new Map<string, SubnetSpec>();
  for (const { address, gateway } of ips) {
    const subnet = networkOf(parsePrefix(address)).text;
    const known = subnets.get(subnet)?.gateway;
    subnets.set(subnet, { subnet, gateway: gateway ?? known ?? 'none' });
  }
  const v4 = ips.some(({ address }) => parsePrefix(address).family === 4);
  return { ...spec, ...(!v4 && { ipv4: false }), subnets: [...subnets.values()] };
}
