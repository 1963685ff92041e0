console.log('holdfast');
