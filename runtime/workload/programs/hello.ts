// A program that does nothing: what a runtime costs by itself.

export function hello(): string {
  return 'hello';
}
