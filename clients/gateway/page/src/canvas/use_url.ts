import { useEffect, useState } from 'preact/hooks';

/** A URL of a blob, for as long as it is shown. */
export function useUrl(blob: Blob | undefined): string {
  const [url, setUrl] = useState('');
  useEffect(() => {
    if (blob === undefined) {
      setUrl('');
      return undefined;
    }
    const made = URL.createObjectURL(blob);
    setUrl(made);
    return () => URL.revokeObjectURL(made);
  }, [blob]);
  return url;
}
