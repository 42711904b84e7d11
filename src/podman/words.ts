/**
 * Whether words are those by which netavark calls a plugin. The program has the same name as one for CNI, which is called
 * without a word, and as the command line, which has no such commands.
 */
export function isPluginCall(argv: readonly string[]): boolean {
  const [verb, path = ''] = argv;
  if (argv.length === 1) return verb === 'info' || verb === 'create';
  return argv.length === 2 && (verb === 'setup' || verb === 'teardown') && path.startsWith('/');
}
