// A finished picture, and what the gallery keeps of how it came to be.
import type { BatchShare } from './share';
import type { GenerateRequest } from '../api/wire';
import type { Inputs } from '../canvas/inputs';

export interface Entry {
  /** `<painting>:<index>`. */
  id: string;
  painting: string;
  startedAt: number;
  index: number;
  /** As the server understood it, every default filled in; without the bytes of its pictures. */
  request: GenerateRequest;
  title: string;
  modelName: string;
  inputs: Inputs;
  seed: number;
  width: number;
  height: number;
  mime: string;
  sha256: string;
  warnings: string[];
  /** Known once the whole request is done. */
  share: BatchShare | undefined;
  picture: Blob;
}
