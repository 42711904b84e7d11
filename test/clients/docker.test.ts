/** dockerd with netloom's drivers, the distribution's Docker: see docker-basics.ts. */
import { checkDescriptors } from '../lib/fds.ts';
import { basics } from './docker-basics.ts';

checkDescriptors();
basics("the distribution's Docker", false);
