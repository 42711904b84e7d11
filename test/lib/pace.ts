/** How many times longer than elsewhere things may take: the processors of tools/vm's guest are emulated. */
export const PACE: number = process.env['NETLOOM_TEST_GUEST'] === '1' ? 4 : 1;
