/** dockerd with netloom's drivers, the distribution's Docker: see docker-networks.ts. */
import { checkDescriptors } from '../lib/fds.ts';
import { networks } from './docker-networks.ts';

checkDescriptors();
networks("the distribution's Docker", false);
