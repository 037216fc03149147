import * as z from 'zod';
import { deviceSchemas } from './registry.ts';

/** The schema of one entry of a configuration's `devices`. */
export const deviceConfig = z.discriminatedUnion('type', deviceSchemas(z));
