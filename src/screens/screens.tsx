import type { Screen } from '../store/screens.ts';
import type { Size } from '../store/ui-slice.ts';
import { DoctorScreen } from './host/doctor.tsx';
import { FunctionScreen } from './host/function.tsx';
import { IommuScreen } from './host/iommu.tsx';
import { PciScreen } from './host/pci.tsx';
import { SriovScreen } from './host/sriov.tsx';
import { VfioScreen } from './host/vfio.tsx';
import { ImagesScreen } from './images.tsx';
import { LogScreen } from './log.tsx';
import { NetworksScreen } from './networks.tsx';
import { OverviewScreen } from './overview.tsx';
import { QueuesScreen } from './queues.tsx';
import { VmScreen } from './vm.tsx';
import { VmsScreen } from './vms.tsx';

/** Draws a screen. */
export function ScreenPicture({ screen, size }: { screen: Screen; size: Size }) {
  switch (screen.kind) {
    case 'overview':
      return <OverviewScreen size={size} />;
    case 'vms':
      return <VmsScreen size={size} />;
    case 'vm':
      return <VmScreen id={screen.id} size={size} />;
    case 'pci':
      return <PciScreen size={size} />;
    case 'iommu':
      return <IommuScreen size={size} />;
    case 'sriov':
      return <SriovScreen size={size} />;
    case 'vfio':
      return <VfioScreen size={size} />;
    case 'doctor':
      return <DoctorScreen size={size} />;
    case 'log':
      return <LogScreen size={size} />;
    case 'queues':
      return <QueuesScreen size={size} />;
    case 'networks':
      return <NetworksScreen size={size} />;
    case 'images':
      return <ImagesScreen size={size} />;
    case 'function':
      return <FunctionScreen address={screen.address} size={size} />;
  }
}
