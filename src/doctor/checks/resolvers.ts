import type { Check, Result } from '../check.ts';

/** Whether names can be answered at the port where everybody asks. */
export const resolvers: Check = {
  name: 'resolvers',
  about: 'whether names are answered at port 53 of the networks’ gateways',
  run(view) {
    const detours = view.networks.flatMap(({ name, resolverPorts = {} }) =>
      Object.entries(resolverPorts).map(([address, port]) => ({ name, address, port })),
    );
    if (detours.length === 0) {
      return [{ status: 'ok', summary: 'no other program has port 53 of a gateway' }];
    }
    return detours.map(({ name, address, port }): Result => {
      const holder = view.holderOf(address, 53);
      return {
        status: 'ok',
        summary: `port 53 of ${address} is ${holder === '' ? 'another program’s' : `taken by ${holder}`}: what workloads ask there is led to port ${port}, where names are answered`,
        evidence: [
          `the map resolver${address.includes(':') ? 6 : 4} of the table inet netloom leads ${address} port 53 to ${port}`,
        ],
        cure: [
          'none is needed; let that program listen at its own addresses only (dnsmasq: bind-dynamic with except-interface; named, unbound: interface), and the detour goes by itself',
        ],
        object: `network ${name}`,
      };
    });
  },
};
