import { STATUS_CODES } from 'node:http';
import { ERROR_TABLE } from './error-table.ts';

/** The text of docs/errors.md: `node src/api/errors-doc.ts > docs/errors.md` writes it. */
export function errorsDocument(): string {
  const statuses = [...new Set(Object.values(ERROR_TABLE).map((row) => row.status))].toSorted((a, b) => a - b);
  const parts = [
    '# Error codes',
    '',
    'Made from `src/api/error-table.ts` by `node src/api/errors-doc.ts`; do not edit.',
    '',
    'Every failure carries a code, a message and sometimes a hint: as `error.code` and `error.hint` in the library, as',
    '`{"code", "message", "hint"}` in an answer of the API. Match the code, never the text. Codes that are errno names',
    'come from the kernel or the file system. A code that is not listed here answers 500.',
  ];
  for (const status of statuses) {
    parts.push('', `## ${status} ${STATUS_CODES[status]}`, '', '| code | meaning |', '|---|---|');
    const codes = Object.entries(ERROR_TABLE).filter(([, row]) => row.status === status);
    for (const [code, row] of codes.toSorted(([a], [b]) => (a < b ? -1 : 1)))
      parts.push(`| \`${code}\` | ${row.meaning} |`);
  }
  return parts.join('\n') + '\n';
}

if (import.meta.main) process.stdout.write(errorsDocument());
