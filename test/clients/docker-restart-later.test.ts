/** dockerd and netloom restart, the later Docker: see docker-restarts.ts. */
import { checkDescriptors } from '../lib/fds.ts';
import { restarts } from './docker-restarts.ts';

checkDescriptors();
restarts('the later Docker', true);
