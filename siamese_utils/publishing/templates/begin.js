// What all scripts before this one have made ready begins.
document.querySelector(".switches").hidden = false;
setUpTheme();
setUpCode();
setUpSearch();
setUpSide();
setUpTables();
setUpScrolling();
setUpZoom();
setUpTerms();
setUpLive();
setUpPrinting();
