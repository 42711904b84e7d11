/**
 * What the launcher was called as, or says that it was: missing where a person calls netloom. Its settings have done their
 * work when this is called, and are gone from the environment: a command that we start must not inherit them.
 */
export function calledAs(): string | undefined {
  const { NETLOOM_CALLED_AS: program, NODE_COMPILE_CACHE: cache } = process.env;
  delete process.env['NETLOOM_CALLED_AS'];
  if (cache?.endsWith('/netloom/node') === true) delete process.env['NODE_COMPILE_CACHE'];
  return program;
}
