// runs: here in one mode (a router and its sockets)
import { checkDescriptors } from '../lib/fds.ts';
import { bird } from '../lib/routers.ts';
import { routerTests } from './bgp-bed.ts';

checkDescriptors();
routerTests('BIRD', bird);
