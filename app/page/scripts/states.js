/** The state of a photo in a few words. */

/** @param {import('./album.js').Photo} photo */
export function words(photo) {
  const { share, seconds, why } = photo.more;
  switch (photo.state) {
    case 'queued': return 'Queued';
    case 'preparing': return 'Preparing';
    case 'uploading': return `Uploading ${Math.round(100 * (share ?? 0))}%`;
    case 'colouring': return 'Colouring';
    case 'waiting': return `${why}. Trying again in ${seconds} s`;
    case 'background': return 'In background';
    case 'failed': return 'Failed';
    default: return 'Done';
  }
}

/** What happens to a photo that is done and has got other options; '' if nothing does. */
export function workingWords(photo) {
  if (!photo.working) {
    return '';
  }
  const { recolouring, seconds, why } = photo.more;
  return recolouring === 'waiting' ? `${why}. Trying again in ${seconds} s` : 'Recolouring';
}
