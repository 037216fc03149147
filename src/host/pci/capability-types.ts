export type CapabilityBase = {
  /** Capability id; extended ones are numbered separately. */
  readonly id: number;
  readonly extended: boolean;
  /** Its offset in config space. */
  readonly offset: number;
  /** Short name as lspci and the specifications use it. */
  readonly name: string;
};

export type PciLink = {
  /** GT/s per lane, or null if the register has an unknown code. */
  readonly speed: number | null;
  readonly width: number;
};

export type PowerManagementCapability = CapabilityBase & {
  readonly kind: 'pm';
  readonly state: 'D0' | 'D1' | 'D2' | 'D3hot';
  /** If not set, the transition from D3hot to D0 resets the function: the kernel's `pm` reset. */
  readonly noSoftReset: boolean;
};
export type MsiCapability = CapabilityBase & {
  readonly kind: 'msi';
  readonly enabled: boolean;
  /** Vectors that the function can use, and those allocated. */
  readonly vectors: number;
  readonly allocated: number;
  readonly address64: boolean;
  readonly maskable: boolean;
};
export type MsixCapability = CapabilityBase & {
  readonly kind: 'msix';
  readonly enabled: boolean;
  readonly masked: boolean;
  readonly vectors: number;
  readonly table: { readonly bar: number; readonly offset: number };
  readonly pba: { readonly bar: number; readonly offset: number };
};
export type PcieCapability = CapabilityBase & {
  readonly kind: 'pcie';
  readonly type: string;
  /** Function-level reset. */
  readonly flr: boolean;
  /** TLP payload in bytes: the maximum the function supports, and the configured one. */
  readonly maxPayload: number;
  readonly payload: number;
  /** Null if there is no link: root-complex integrated endpoints, virtual functions. */
  readonly link: {
    readonly max: PciLink;
    readonly now: PciLink;
    readonly aspm: string;
    /** Ports: whether the data link layer is active; null if the port does not report it. */
    readonly active: boolean | null;
  } | null;
  readonly slot: { readonly number: number; readonly hotplug: boolean; readonly occupied: boolean } | null;
  /** Ports: whether ARI forwarding is on, so that the device below can have up to 256 functions. */
  readonly ariForwarding: boolean;
};
export type AdvancedFeaturesCapability = CapabilityBase & { readonly kind: 'af'; readonly flr: boolean };
/** Each ACS control: absent from the hardware, present and off, or on. */
export type AcsControl = 'absent' | 'off' | 'on';
export type AcsCapability = CapabilityBase & {
  readonly kind: 'acs';
  readonly sourceValidation: AcsControl;
  readonly translationBlocking: AcsControl;
  readonly requestRedirect: AcsControl;
  readonly completionRedirect: AcsControl;
  readonly upstreamForwarding: AcsControl;
  readonly egressControl: AcsControl;
  readonly directTranslated: AcsControl;
};
export type AriCapability = CapabilityBase & { readonly kind: 'ari'; readonly nextFunction: number };
export type AtsCapability = CapabilityBase & {
  readonly kind: 'ats';
  readonly enabled: boolean;
  readonly queueDepth: number;
};
export type PriCapability = CapabilityBase & { readonly kind: 'pri'; readonly enabled: boolean };
export type PasidCapability = CapabilityBase & {
  readonly kind: 'pasid';
  readonly enabled: boolean;
  readonly width: number;
};
export type SerialCapability = CapabilityBase & { readonly kind: 'serial'; readonly serial: string };
export type SriovCapability = CapabilityBase & {
  readonly kind: 'sriov';
  readonly enabled: boolean;
  readonly initialVfs: number;
  readonly totalVfs: number;
  readonly numVfs: number;
  readonly offset: number;
  readonly stride: number;
  /** Four hex digits. */
  readonly vfDevice: string;
};
export type ResizableBarCapability = CapabilityBase & {
  readonly kind: 'resizable-bar';
  readonly bars: readonly {
    readonly bar: number;
    readonly size: number;
    /** In bytes, ascending. */
    readonly sizes: readonly number[];
  }[];
};
/** Only the name is known. */
export type OtherCapability = CapabilityBase & { readonly kind: 'other' };

export type Capability =
  | PowerManagementCapability
  | MsiCapability
  | MsixCapability
  | PcieCapability
  | AdvancedFeaturesCapability
  | AcsCapability
  | AriCapability
  | AtsCapability
  | PriCapability
  | PasidCapability
  | SerialCapability
  | SriovCapability
  | ResizableBarCapability
  | OtherCapability;
