/** dockerd and netloom restart, the distribution's Docker: see docker-restarts.ts. */
import { checkDescriptors } from '../lib/fds.ts';
import { restarts } from './docker-restarts.ts';

checkDescriptors();
restarts("the distribution's Docker", false);
