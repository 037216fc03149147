/** Local time in the log's format: `11-21 13:44:01`. @param at milliseconds since 1970 */
export function logTime(at: number): string {
  const date = new Date(at);
  const two = (value: number) => String(value).padStart(2, '0');
  const day = `${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** With the year: `2026-11-21 13:44:01`. */
export function fullTime(at: number): string {
  return `${new Date(at).getFullYear()}-${logTime(at)}`;
}
