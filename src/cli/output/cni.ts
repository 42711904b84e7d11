import type { CNIResult, ListResult, NetworkAttachment, NetworkConfigList } from '../../libcni/index.ts';
import type { CliContext } from '../context.ts';
import { renderTable, tableWidth } from './table.ts';
import type { Column } from './table.ts';

/** What ADD came to, a table for each of what it has. `result` is of a version that has lists (0.3.0 on). */
export function printResult(context: CliContext, result: CNIResult): void {
  const { interfaces = [], ips = [], routes = [], dns = {} } = result as ListResult;
  const nameOf = (index: number | undefined): string => (index === undefined ? '' : (interfaces[index]?.name ?? ''));
  const tables = [
    table(context, interfaces, [
      ['INTERFACE', ({ name }) => name],
      ['NAMESPACE', ({ sandbox }) => sandbox || 'the host'],
      ['MAC ADDRESS', ({ mac }) => mac ?? ''],
      ['MTU', ({ mtu }) => (mtu === undefined ? '' : String(mtu))],
    ]),
    table(context, ips, [
      ['ADDRESS', ({ address }) => address],
      ['GATEWAY', ({ gateway }) => gateway ?? ''],
      ['INTERFACE', ({ interface: at }) => nameOf(at)],
    ]),
    table(context, routes, [
      ['ROUTE', ({ dst }) => dst],
      ['GATEWAY', ({ gw }) => gw ?? ''],
    ]),
    table(
      context,
      [dns].filter((each) => Object.values(each).some((value) => value !== undefined && value.length > 0)),
      [
        ['NAME SERVERS', ({ nameservers = [] }) => nameservers.join(' ')],
        ['DOMAIN', ({ domain = '' }) => domain],
        ['SEARCH', ({ search = [] }) => search.join(' ')],
        ['OPTIONS', ({ options = [] }) => options.join(' ')],
      ],
    ),
  ];
  context.io.stdout.write(tables.filter((text) => text !== '').join('\n'));
}

export interface NetworkRow {
  readonly file: string;
  readonly list: NetworkConfigList;
}

export function printNetworks(context: CliContext, rows: readonly NetworkRow[]): void {
  const columns: readonly Cell<NetworkRow>[] = [
    ['NETWORK', ({ list }) => list.name],
    ['VERSION', ({ list }) => list.cniVersion || '0.1.0'],
    ['PLUGINS', ({ list }) => list.plugins.map(({ network }) => network.type).join(' ')],
    ['CAPABILITIES', ({ list }) => capabilities(list).join(' ')],
    ['FILE', ({ file }) => file],
  ];
  context.io.stdout.write(table(context, rows, columns) || `${columns.map(([title]) => title).join('   ')}\n`);
}

export function printAttachments(context: CliContext, rows: readonly NetworkAttachment[]): void {
  const columns: readonly Cell<NetworkAttachment>[] = [
    ['CONTAINER', ({ containerID }) => containerID],
    ['NETWORK', ({ network }) => network],
    ['INTERFACE', ({ ifName }) => ifName],
    ['NAMESPACE', ({ netns }) => netns],
  ];
  context.io.stdout.write(table(context, rows, columns) || `${columns.map(([title]) => title).join('   ')}\n`);
}

/** What any plugin of a network declares to understand. */
export function capabilities(list: NetworkConfigList): string[] {
  const declared = list.plugins.flatMap(({ network }) => Object.entries(network.capabilities));
  return [...new Set(declared.flatMap(([name, is]) => (is ? [name] : [])))].toSorted();
}

type Cell<T> = readonly [title: string, cell: (row: T) => string];

/** Nothing for no rows; columns that are empty in every row are left out. */
function table<T>({ io }: CliContext, rows: readonly T[], cells: readonly Cell<T>[]): string {
  if (rows.length === 0) return '';
  const columns: Column<T>[] = cells
    .filter(([, cell]) => rows.some((row) => cell(row) !== ''))
    .map(([title, cell]) => ({ title, cell, flexible: true }));
  return renderTable(columns, rows, tableWidth(io.stdout, io.env));
}
