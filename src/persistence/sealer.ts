/** Encrypts what is stored, and opens it again. */
export interface Sealer {
  /**
   * @param place where the text will be stored, such as `signing_keys.private_key:<kid>`: bound in as additional
   *   authenticated data, so that what was sealed for one place cannot be opened in another
   */
  seal(plaintext: string, place: string): Promise<string>
  /** @throws Error naming the place, never the content, where no key opens it or it was changed */
  open(sealed: string, place: string): Promise<string>
  /** Whether it was sealed under the newest key; if not it is due for sealing anew. */
  isCurrent(sealed: string): boolean
}
