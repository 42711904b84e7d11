/** Text that comes from outside on one line: control characters as their escapes, so that none reaches a terminal or log. */
export function printable(text: string): string {
  return text.replaceAll(
    // oxlint-disable-next-line no-control-regex -- control characters and line separators are exactly what is meant
    /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g,
    (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
