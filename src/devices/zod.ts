import type * as z from 'zod';

/**
 * The schema library, passed as an argument. The tables of devices and back ends do not import it: it would cost each machine
 * thread more memory and start time than all device models together.
 */
export type Zod = typeof z;
