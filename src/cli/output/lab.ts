import { rateText } from '../../model/index.ts';
import type { LabStatus, MachineStatus } from '../../lab/index.ts';
import type { Column } from './table.ts';

/** A machine a row; what nobody has is left out. */
export function labColumns(lab: LabStatus): Column<MachineStatus>[] {
  const columns: Column<MachineStatus>[] = [
    { title: 'NAME', cell: (machine) => machine.name },
    { title: 'STATE', cell: (machine) => machine.state },
    { title: 'SEGMENT', cell: (machine) => machine.links.map((link) => link.segment).join(' ') },
    {
      title: 'ADDRESSES',
      cell: (machine) => machine.links.flatMap((link) => link.addresses).join(' '),
      flexible: true,
    },
    { title: 'CABLE', cell: cableText, flexible: true },
    { title: 'CUT OFF FROM', cell: (machine) => machine.cut, flexible: true },
  ];
  const always = 4;
  return columns.filter((column, i) => i < always || lab.machines.some((machine) => column.cell(machine) !== ''));
}

/** `10mbit 20ms 1% loss mtu 1400`; of several cables each with its name; empty for an ideal one. */
function cableText({ links }: MachineStatus): string {
  const texts = links.flatMap(({ dev, rate, delay, loss, mtu }) => {
    const words = [
      ...(rate > 0 ? [rateText(rate)] : []),
      ...(delay > 0 ? [`${delay}ms`] : []),
      ...(loss > 0 ? [`${Number((loss * 100).toFixed(4))}% loss`] : []),
      ...(mtu === 1500 ? [] : [`mtu ${mtu}`]),
    ];
    return words.length === 0 ? [] : [links.length === 1 ? words.join(' ') : `${dev}: ${words.join(' ')}`];
  });
  return texts.join(', ');
}
