/** dockerd with netloom's drivers, the later Docker: see docker-networks.ts. */
import { checkDescriptors } from '../lib/fds.ts';
import { networks } from './docker-networks.ts';

checkDescriptors();
networks('the later Docker', true);
