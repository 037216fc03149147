import type { LayoutName } from '../../devices/input/layout-names.ts';

/**
 * The key labels of a keyboard, row by row: the keys from grave (left of 1) to equal, from q to rightbrace, from a to
 * backslash, from 102nd (right of the left shift key) to slash. A space means no character.
 */
export type LayoutRows = readonly [string, string, string, string];

export type LayoutData = {
  readonly title: string;
  readonly plain: LayoutRows;
  readonly shift: LayoutRows;
  readonly altgr?: LayoutRows;
  /** Characters, plain or with shift, that are dead keys. */
  readonly dead?: string;
};

/** Keyboard layouts, by their X and Linux names. The guest must use the same one. */
export const LAYOUTS: Readonly<Record<LayoutName, LayoutData>> = {
  us: {
    title: 'US English',
    plain: ['`1234567890-=', 'qwertyuiop[]', "asdfghjkl;'\\", '<zxcvbnm,./'],
    shift: ['~!@#$%^&*()_+', 'QWERTYUIOP{}', 'ASDFGHJKL:"|', '>ZXCVBNM<>?'],
  },
  uk: {
    title: 'UK English',
    plain: ['`1234567890-=', 'qwertyuiop[]', "asdfghjkl;'#", '\\zxcvbnm,./'],
    shift: ['¬!"£$%^&*()_+', 'QWERTYUIOP{}', 'ASDFGHJKL:@~', '|ZXCVBNM<>?'],
    altgr: ['¦   €        ', '            ', '            ', '           '],
  },
  de: {
    title: 'German',
    plain: ['^1234567890ß´', 'qwertzuiopü+', 'asdfghjklöä#', '<yxcvbnm,.-'],
    shift: ['°!"§$%&/()=?`', 'QWERTZUIOPÜ*', "ASDFGHJKLÖÄ'", '>YXCVBNM;:_'],
    altgr: ['  ²³   {[]}\\ ', '@ €        ~', '            ', '|      µ   '],
    dead: '^´`',
  },
  fr: {
    title: 'French',
    plain: ['²&é"\'(-è_çà)=', 'azertyuiop^$', 'qsdfghjklmù*', '<wxcvbn,;:!'],
    shift: [' 1234567890°+', 'AZERTYUIOP¨£', 'QSDFGHJKLM%µ', '>WXCVBN?./§'],
    altgr: ['  ~#{[|`\\^@]}', '  €        ¤', '            ', '           '],
    dead: '¨',
  },
  es: {
    title: 'Spanish',
    plain: ["º1234567890'¡", 'qwertyuiop`+', 'asdfghjklñ´ç', '<zxcvbnm,.-'],
    shift: ['ª!"·$%&/()=?¿', 'QWERTYUIOP^*', 'ASDFGHJKLÑ¨Ç', '>ZXCVBNM;:_'],
    altgr: ['\\|@#~€¬      ', '          []', '          {}', '           '],
    dead: '`^´¨',
  },
  it: {
    title: 'Italian',
    plain: ["\\1234567890'ì", 'qwertyuiopè+', 'asdfghjklòàù', '<zxcvbnm,.-'],
    shift: ['|!"£$%&/()=?^', 'QWERTYUIOPé*', 'ASDFGHJKLç°§', '>ZXCVBNM;:_'],
    altgr: ['     €       ', '          []', '         @# ', '           '],
  },
};
