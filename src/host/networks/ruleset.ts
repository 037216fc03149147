import type { NetworkDefinition } from './definition.ts';
import { RUNTIME_FOLDER } from './dnsmasq.ts';
import { parseSubnet, subnetText } from './subnet.ts';

/** Each network has its own table, which is removed with it. */
export function tableName(name: string): string {
  return `vring-${name}`;
}

export function rulesetPath(name: string): string {
  return `${RUNTIME_FOLDER}/${name}.nft`;
}

/** The rules of a network, for `nft -f` (nft(8)). They replace its existing rules. */
export function rulesetText({ name, form, bridge, subnet }: NetworkDefinition): string {
  const table = tableName(name);
  const net = subnetText(parseSubnet(subnet));
  const port = `"${bridge}"`;
  const forward = {
    nat: [
      `iifname ${port} oifname ${port} accept`,
      `iifname ${port} ip saddr ${net} accept`,
      `oifname ${port} ip daddr ${net} ct state established,related accept`,
    ],
    routed: [`iifname ${port} ip saddr ${net} accept`, `oifname ${port} ip daddr ${net} accept`],
    isolated: [`iifname ${port} oifname ${port} accept`],
  }[form];
  const lines = [
    `# Network ${name} of vring: written when it is started.`,
    `table ip ${table}`,
    `delete table ip ${table}`,
    `table ip ${table} {`,
    '  chain forward {',
    '    type filter hook forward priority filter; policy accept;',
    ...[
      ...forward,
      `iifname ${port} reject with icmp type net-unreachable`,
      `oifname ${port} reject with icmp type net-unreachable`,
    ].map(rule => `    ${rule}`),
    '  }',
    ...(form === 'nat'
      ? [
          '  chain postrouting {',
          '    type nat hook postrouting priority srcnat; policy accept;',
          `    ip saddr ${net} ip daddr { ${net}, 224.0.0.0/4, 255.255.255.255 } return`,
          `    ip saddr ${net} masquerade`,
          '  }',
        ]
      : []),
    '}',
  ];
  return `${lines.join('\n')}\n`;
}
