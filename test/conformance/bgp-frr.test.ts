// runs: here in one mode (a router and its sockets)
import { checkDescriptors } from '../lib/fds.ts';
import { frr } from '../lib/routers.ts';
import { routerTests } from './bgp-bed.ts';

checkDescriptors();
routerTests('FRR', frr);
