import * as z from 'zod';
import { deviceTable } from './registry.ts';

/** The schema of one entry of a configuration's `devices`. */
export const deviceConfig = deviceTable.schema(z);
