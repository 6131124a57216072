// A finished picture, as the gallery keeps it.
import { type Painting, titleOf } from './painting';
import { whole } from '../api/units';
import { models } from '../api/server';
import type { GenerateRequest, Picture } from '../api/wire';
import { bytesOf } from '../canvas/encode';
import type { Entry } from '../gallery/entry';

/** The effective request; of its pictures the page keeps the originals. */
function withoutPictures(request: GenerateRequest): GenerateRequest {
  return {
    ...request, initImage: undefined, maskImage: undefined, preview: undefined, sentPictures: undefined,
    control: request.control?.map((net) => ({ ...net, image: undefined })),
  };
}

export function entryOf(painting: Painting, picture: Picture): Entry {
  const request = withoutPictures({ ...painting.request, ...painting.accepted?.request });
  const model = models.value.find(({ id }) => id === request.model);
  const label = model?.classLabels?.find(({ index }) => (index ?? 0) === request.classIndex)?.label;
  const index = picture.imageIndex ?? 0;
  const mime = picture.mime ?? 'image/png';
  return {
    id: `${painting.id}:${index}`,
    painting: painting.id,
    startedAt: painting.startedAt,
    index,
    request,
    title: titleOf(request, label),
    modelName: model?.displayName || (request.model ?? ''),
    inputs: painting.inputs,
    seed: whole(picture.seed),
    width: picture.width ?? 0,
    height: picture.height ?? 0,
    mime,
    sha256: picture.sha256 ?? '',
    warnings: painting.accepted?.warnings ?? [],
    share: undefined,
    picture: new Blob([bytesOf(picture.data ?? '')], { type: mime }),
  };
}
