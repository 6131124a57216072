// The page.
import { Composer } from './composer/composer';
import { Shelf } from './gallery/shelf';
import { viewed } from './gallery/viewing';
import { Viewer } from './gallery/viewer';
import { Banner, Header } from './header';
import { Announcer } from './parts/announcer';
import { Scheduler } from './scheduler/scheduler';
import { CopyDialog } from './snippets/copy_dialog';
import { copying } from './snippets/copying';

export function App() {
  return (
    <div class="page">
      <a class="skip" href="#pictures">To the pictures</a>
      <Header />
      <main class="main">
        <Composer />
        <div class="stage">
          <Banner />
          <Scheduler />
          <div id="pictures" tabIndex={-1}><Shelf /></div>
        </div>
      </main>
      <Announcer />
      {viewed.value !== undefined && <Viewer picture={viewed.value} />}
      {copying.value !== undefined && <CopyDialog copied={copying.value} />}
    </div>
  );
}
