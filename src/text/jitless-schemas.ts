/**
 * Imported before all schemas, which read this setting when they are made: they check values without compiling a function
 * for each schema first, which takes longer than checking one configuration.
 */
import { config } from 'zod';

config({ jitless: true });
