import type { EngineEvent } from '../../model/index.ts';
import type { Io } from '../context.ts';
import { styler } from './style.ts';
import { oneLine } from './table.ts';
import type { View } from './views.ts';

/** `2026-11-21T08:00:00.123Z network create web (driver=bridge)`, one line whatever the names hold. */
export function eventLine(io: Io): (event: EngineEvent) => string {
  const style = styler(io);
  return (event) => {
    const attributes = Object.entries(event.attributes).map(([name, value]) => `${name}=${value}`);
    const parts = [
      style('dim', event.time),
      style('cyan', event.type),
      style('bold', event.action),
      oneLine(event.name === '' ? event.id.slice(0, 12) : event.name),
      attributes.length === 0 ? '' : style('dim', oneLine(`(${attributes.join(', ')})`)),
    ];
    return parts.filter((part) => part !== '').join(' ');
  };
}

/** For `--format`, under the names that `docker events` has where it has them. */
export function eventView(event: EngineEvent): View {
  return {
    Time: event.time,
    Type: event.type,
    Action: event.action,
    ID: event.id,
    Name: event.name,
    Attributes: event.attributes,
  };
}
