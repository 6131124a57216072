import './styles/index.css';

import { render } from 'preact';

import { watchServer } from './api/server';
import { App } from './app';
import { watchArrivals } from './canvas/arrivals';
import { openGallery } from './gallery/gallery';
import { watchKeys } from './keys';

const root = document.querySelector('#page');
if (root !== null) render(<App />, root);
watchKeys();
watchArrivals();
void openGallery();
void watchServer();
