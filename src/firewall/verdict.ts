import { type NftChain, shellWord } from '../nftables/index.ts';
import { evaluate, type Outcome } from './evaluate.ts';
import { Packet, type Question } from './packet.ts';
import type { ForeignFirewall, ForeignTable } from './read.ts';
import { ruleText } from './words.ts';

/** What other firewalls do with the packets of one path. */
export interface ForeignVerdict {
  /** As it was asked: `from network web to the outside`. */
  readonly path: string;
  readonly verdict: 'accept' | 'drop' | 'unknown';
  /**
   * What most packets of the path come to, where the verdict is unknown: those of which nothing is true that a rule asks
   * for by itself (one source, a mark, more than a limit).
   */
  readonly presumed: 'accept' | 'drop';
  /** `ip filter`. Empty where nobody stands in the way. */
  readonly table: string;
  /** Where it is decided. */
  readonly chain: string;
  /** The rule that decides; missing for a chain's policy. */
  readonly rule?: string;
  /** The rule's number, for `nft -a list`. */
  readonly handle?: bigint;
  /** Who made the table, as far as its names tell: `iptables`, `ufw`, `firewalld`, `docker`, `nftables`. */
  readonly owner: string;
  /** Commands that let the path through, for a person to run. Whoever owns the rules decides. */
  readonly remedy: readonly string[];
}

/** A path to judge: a packet, and the bridge of ours that it is about. */
export interface Path {
  readonly path: string;
  readonly bridge: string;
  readonly question: Question;
  /** It is about a port of the host's own, not about the bridge: remedies open that port and nothing else. */
  readonly hostPort?: boolean;
}

/**
 * Whether a packet that our own rules let through gets past everybody else's. The kernel runs every base chain of a hook:
 * one that drops is enough, and one that accepts says nothing about the others. @see nft(8) CHAINS
 */
export function judge(firewall: ForeignFirewall, path: Path): ForeignVerdict {
  const packet = new Packet(path.question);
  const families = packet.family === 4 ? ['inet', 'ip'] : ['inet', 'ip6'];
  let doubt: ForeignVerdict | undefined;
  for (const { table, base } of basesOf(firewall, families, path.question.hook)) {
    const outcome = evaluate(table, base, packet);
    if (outcome.verdict === 'accept') continue;
    const found = describe(path, outcome, table, base);
    if (outcome.verdict === 'drop') return found;
    if (!doubt || (doubt.presumed === 'accept' && found.presumed === 'drop')) doubt = found;
  }
  return (
    doubt ?? { path: path.path, verdict: 'accept', presumed: 'accept', table: '', chain: '', owner: '', remedy: [] }
  );
}

/** Whether a table has a say about packets of a hook. */
export function hasSay(chains: readonly NftChain[], hook: Question['hook']): boolean {
  return chains.some((chain) => chain.base?.hook === hook && chain.base.type === 'filter');
}

function basesOf(
  firewall: ForeignFirewall,
  families: readonly string[],
  hook: Question['hook'],
): { readonly table: ForeignTable; readonly base: NftChain }[] {
  const found: { table: ForeignTable; base: NftChain }[] = [];
  for (const table of firewall.tables) {
    if (!families.includes(table.name.family)) continue;
    for (const chain of table.chains)
      if (chain.base?.hook === hook && chain.base.type === 'filter') found.push({ table, base: chain });
  }
  return found.sort((a, b) => a.base.base!.priority - b.base.base!.priority);
}

function describe(path: Path, { verdict, presumed, by }: Outcome, table: ForeignTable, base: NftChain): ForeignVerdict {
  const owner = ownerOf(table, base);
  const { family, name } = table.name;
  return {
    path: path.path,
    verdict,
    presumed,
    table: `${family} ${name}`,
    chain: by.chain,
    ...(by.rule && { rule: ruleText(by.rule, table) }),
    ...(by.rule?.handle !== undefined && { handle: by.rule.handle }),
    owner,
    remedy:
      path.question.state === undefined && (verdict === 'drop' || (path.hostPort === true && presumed === 'drop'))
        ? remedyOf(owner, table, base, path, by.chain)
        : [],
  };
}

/** Who put the rules there. */
function ownerOf(table: ForeignTable, base: NftChain): string {
  const has = (pattern: RegExp): boolean => table.chains.some(({ name }) => pattern.test(name));
  if (table.name.name === 'firewalld') return 'firewalld';
  if (has(/^ufw6?-/)) return 'ufw';
  if (has(/^DOCKER-USER$/) && base.base?.hook === 'forward') return 'docker';
  return isIptables(table, base) ? 'iptables' : 'nftables';
}

/** iptables-nft names its tables and chains as iptables always did. */
function isIptables({ name }: ForeignTable, base: NftChain): boolean {
  return /^(filter|mangle|raw|security)$/.test(name.name) && /^[A-Z]+$/.test(base.name) && name.family !== 'inet';
}

function remedyOf(owner: string, table: ForeignTable, base: NftChain, path: Path, chain: string): string[] {
  const { bridge, question: q } = path;
  const dev = shellWord(bridge);
  const out = q.oifname === bridge;
  const iptables = table.name.family === 'ip6' ? 'ip6tables' : 'iptables';
  const port = `-p ${q.protocol} --dport ${q.port}`;
  switch (owner) {
    case 'firewalld': {
      // the chain that refuses is named after its zone
      const zone = /^filter_IN_(?:policy_)?([^_]+)/.exec(chain)?.[1];
      const add = `--add-port=${q.port}/${q.protocol}`;
      if (path.hostPort === true)
        return [
          `firewall-cmd --permanent ${zone === undefined ? '' : `--zone=${zone} `}${add}`,
          'firewall-cmd --reload',
        ];
      return [`firewall-cmd --permanent --zone=trusted --change-interface=${dev}`, 'firewall-cmd --reload'];
    }
    case 'ufw':
      if (q.hook === 'input') return [`ufw allow in on ${dev} to any port ${q.port} proto ${q.protocol}`];
      return [out ? `ufw route allow out on ${dev}` : `ufw route allow in on ${dev}`];
    case 'docker':
      return [`${iptables} -I DOCKER-USER ${out ? '-o' : '-i'} ${dev} -j ACCEPT`];
    case 'iptables':
      if (q.hook === 'input') return [`${iptables} -I ${base.name} -i ${dev} ${port} -j ACCEPT`];
      return [`${iptables} -I ${base.name} ${out ? '-o' : '-i'} ${dev} -j ACCEPT`];
    default: {
      const { family, name } = table.name;
      const place = `nft insert rule ${family} ${shellWord(name)} ${shellWord(base.name)}`;
      if (q.hook === 'input') return [`${place} iifname ${dev} ${q.protocol} dport ${q.port} accept`];
      return [`${place} ${out ? 'oifname' : 'iifname'} ${dev} accept`];
    }
  }
}
