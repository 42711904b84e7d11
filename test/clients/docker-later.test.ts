/** dockerd with netloom's drivers, the later Docker: see docker-basics.ts. */
import { checkDescriptors } from '../lib/fds.ts';
import { basics } from './docker-basics.ts';

checkDescriptors();
basics('the later Docker', true);
