import { NetloomError } from '../errors.ts';

const VERBS = [
  'setup',
  'teardown',
  'update',
  'create',
  'version',
  'firewall-reload',
  'firewalld-reload',
  'nftables-reload',
  'dhcp-proxy',
] as const;
export type NetavarkVerb = (typeof VERBS)[number];

/** A command line of netavark, read. */
export interface NetavarkCommand {
  readonly verb: NetavarkVerb;
  /** The namespace's path, or the network's name. */
  readonly operands: readonly string[];
  /** Where the configuration is; empty or `-`: standard input. */
  readonly file: string;
  /** Podman's own directory for what its networks leave while the machine runs; empty where nothing was said. */
  readonly config: string;
  readonly rootless: boolean;
  /** `--network-dns-servers` of `update`. */
  readonly dnsServers: readonly string[];
}

/** Options that take a value, by how they may be written. */
const VALUED: Readonly<Record<string, string>> = {
  '-f': 'file',
  '--file': 'file',
  '-c': 'config',
  '--config': 'config',
  '-r': 'rootless',
  '--rootless': 'rootless',
  '-a': 'aardvark',
  '--aardvark-binary': 'aardvark',
  '--firewall-driver': 'firewall',
  '--plugin-directory': 'plugins',
  '--network-dns-servers': 'dns',
};

/** @throws NetloomError EUSAGE */
export function parseCommand(argv: readonly string[]): NetavarkCommand {
  const given = new Map<string, string[]>();
  const words: string[] = [];
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i]!;
    if (word === '--version' || word === '-V') words.unshift('version');
    else if (!word.startsWith('-')) words.push(word);
    else {
      const at = word.indexOf('=');
      const option = at < 0 ? word : word.slice(0, at);
      const field = Object.hasOwn(VALUED, option) ? VALUED[option] : undefined;
      if (field === undefined) throw usage(`netavark has no option ${option}`);
      const value = at < 0 ? argv[++i] : word.slice(at + 1);
      if (value === undefined) throw usage(`${option} needs a value`);
      given.set(field, [...(given.get(field) ?? []), value]);
    }
  }
  const [first = '', ...operands] = words;
  const verb = VERBS.find((each) => each === first.toLowerCase());
  if (verb === undefined) throw usage(first === '' ? 'which command?' : `netavark has no command "${first}"`);
  const wanted = verb === 'setup' || verb === 'teardown' || verb === 'update' ? 1 : 0;
  if (wanted === 1 && (operands[0] ?? '') === '')
    throw usage(`${verb} needs ${verb === 'update' ? 'the name of a network' : 'the path of a namespace'}`);
  if (operands.length > wanted) throw usage(`${verb}: "${operands[wanted]}" is too much`);
  const last = (field: string): string => given.get(field)?.at(-1) ?? '';
  return {
    verb,
    operands,
    file: last('file'),
    config: last('config'),
    rootless: last('rootless') === 'true',
    dnsServers: (given.get('dns') ?? []).flatMap((text) => text.split(',')).filter(Boolean),
  };
}

function usage(what: string): NetloomError {
  return new NetloomError('EUSAGE', what, { hint: `its commands are ${VERBS.join(', ')}` });
}
