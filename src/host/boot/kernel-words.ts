/** Parameters as the kernel parses them (kernel/params.c, next_arg), and the edits that change them. */

/** What the next boot's command line must contain. */
export type ParameterRequest = {
  /** `intel_iommu=on`: parameters that must take effect. */
  readonly add: readonly string[];
  /** `amd_iommu=off`: parameters, or options of a list, that must be absent. */
  readonly remove: readonly string[];
};

/** A word of a command line and its position; quotes are part of it. */
export type KernelWord = { readonly text: string; readonly start: number; readonly end: number };

/** Changed words by index (null: removed), and new words. */
export type WordEdits = {
  readonly changes: ReadonlyMap<number, string | null>;
  readonly append: readonly string[];
};

/** Words separated by blanks; double quotes protect blanks. What follows `--` is for init and is omitted. */
export function kernelWords(line: string): KernelWord[] {
  const words: KernelWord[] = [];
  for (const match of line.matchAll(/(?:[^\s"]|"[^"]*(?:"|$))+/g)) {
    if (match[0] === '--') break;
    words.push({ text: match[0], start: match.index, end: match.index + match[0].length });
  }
  return words;
}

/** A parameter whose value is a list of options; each occurrence adds to earlier ones. */
type OptionList = {
  /** Options of which the last one takes effect. */
  readonly exclusive: readonly (readonly string[])[];
  /** Options that later ones do not revert: `iommu=off iommu=pt` is off. */
  readonly lasting: readonly string[];
};

const optionLists: Readonly<Record<string, OptionList>> = {
  // drivers/iommu/intel/iommu.c, intel_iommu_setup
  intel_iommu: { exclusive: [['on', 'off']], lasting: [] },
  // arch/x86/kernel/pci-dma.c, iommu_setup
  iommu: { exclusive: [['pt', 'nopt']], lasting: ['off'] },
  // drivers/iommu/amd/init.c, parse_amd_iommu_options
  amd_iommu: { exclusive: [], lasting: ['off'] },
};

type Parsed = { readonly key: string; readonly options: readonly string[]; readonly value: string | null };

/** `iommu.passthrough=1` is `iommu=pt` by another name (drivers/iommu/iommu.c). */
function parse(word: string): Parsed {
  const text = word.replaceAll('"', '');
  const equals = text.indexOf('=');
  const key = (equals < 0 ? text : text.slice(0, equals)).replaceAll('-', '_');
  const value = equals < 0 ? null : text.slice(equals + 1);
  if (key === 'iommu.passthrough') {
    const on = value === null || /^(1|y|on)/i.test(value);
    return { key: 'iommu', options: [on ? 'pt' : 'nopt'], value };
  }
  return { key, options: (value ?? '').split(',').filter(Boolean), value };
}

/** Whether the command line already meets the request. */
export function meetsRequest(words: readonly string[], request: ParameterRequest): boolean {
  const edits = wordEdits(words, request);
  return edits.changes.size === 0 && edits.append.length === 0;
}

/** The smallest edits that meet the request. */
export function wordEdits(words: readonly string[], request: ParameterRequest): WordEdits {
  const draft = new Draft(words);
  for (const word of request.remove) {
    const { key, options } = parse(word);
    draft.strip(key, options);
  }
  for (const word of request.add) {
    const { key, options } = parse(word);
    const list = optionLists[key];
    if (list === undefined) draft.replace(key, word);
    else for (const option of options) draft.enable(key, list, option);
  }
  return draft.edits();
}

/** Words with edits applied, in order; new ones at the end. */
export function editedWords(words: readonly string[], edits: WordEdits): string[] {
  const kept = words.map((word, index) => (edits.changes.has(index) ? edits.changes.get(index)! : word));
  return [...kept.filter(word => word !== null), ...edits.append];
}

/** Words for the same parameters as the request, which a generated file must contain as well. */
export function wordsAbout(words: readonly string[], request: ParameterRequest): string[] {
  const keys = new Set([...request.add, ...request.remove].map(word => parse(word).key));
  return words.filter(word => keys.has(parse(word).key));
}

class Draft {
  readonly #before: readonly string[];
  readonly #words: (string | null)[];
  readonly #append: string[] = [];

  constructor(words: readonly string[]) {
    this.#before = words;
    this.#words = [...words];
  }

  /** Removes options that must be absent. */
  strip(key: string, options: readonly string[]): void {
    this.#words.forEach((word, index) => {
      if (word === null) return;
      const parsed = parse(word);
      const kept = parsed.options.filter(option => !options.includes(option));
      if (parsed.key !== key || kept.length === parsed.options.length) return;
      const list = optionLists[key] !== undefined && kept.length > 0;
      this.#words[index] = list ? `${spelledKey(word)}=${kept.join(',')}` : null;
    });
  }

  /** The last word of a key takes effect. */
  replace(key: string, wanted: string): void {
    const at = this.#words.flatMap((word, index) =>
      word !== null && parse(word).key === key ? [index] : [],
    );
    const last = at.at(-1);
    if (last !== undefined && parse(this.#words[last]!).value === parse(wanted).value) return;
    for (const index of at) this.#words[index] = null;
    this.#append.push(wanted);
  }

  enable(key: string, list: OptionList, option: string): void {
    if (this.#enabled(key, list, option)) return;
    const others = list.exclusive.find(each => each.includes(option))?.filter(each => each !== option) ?? [];
    this.strip(key, [...others, ...list.lasting]);
    if (this.#enabled(key, list, option)) return;
    const last = this.#words.findLastIndex(
      word => word !== null && spelledKey(word).replaceAll('-', '_') === key,
    );
    if (last >= 0 && parse(this.#words[last]!).options.length > 0) {
      const word = this.#words[last]!;
      this.#words[last] = `${spelledKey(word)}=${[option, ...parse(word).options].join(',')}`;
    } else {
      const added = this.#append.findIndex(word => parse(word).key === key);
      if (added >= 0) this.#append[added] += `,${option}`;
      else this.#append.push(`${key}=${option}`);
    }
  }

  #enabled(key: string, list: OptionList, option: string): boolean {
    const rivals = list.exclusive.find(each => each.includes(option)) ?? [option];
    const said = [...this.#words, ...this.#append].flatMap(word => {
      const parsed = word === null ? null : parse(word);
      return parsed?.key === key ? parsed.options : [];
    });
    if (list.lasting.some(each => each !== option && said.includes(each))) return false;
    return said.findLast(each => rivals.includes(each)) === option;
  }

  edits(): WordEdits {
    const changes = new Map<number, string | null>();
    this.#words.forEach((word, index) => {
      if (word !== this.#before[index]) changes.set(index, word);
    });
    return { changes, append: this.#append };
  }
}

/** The key as it is written, with its dashes. */
function spelledKey(word: string): string {
  return word.replaceAll('"', '').split('=')[0]!;
}
